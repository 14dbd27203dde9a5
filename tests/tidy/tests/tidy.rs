//! The checks, run on this repository.

use tidy::source::is_exempt;
use tidy::tree::{self, File};
use tidy::{Violation, forbidden, layering, length, pages, pins};

#[track_caller]
fn none(violations: &[Violation]) {
    assert!(violations.is_empty(), "{} violations\n{}\n", violations.len(), violations.join("\n"));
}

/// The product's own Rust files.
fn product_files() -> Vec<File> {
    let files = tree::files().into_iter();
    let is_product =
        |file: &File| file.path.starts_with("crates/") && file.path.ends_with(".rs") && !is_exempt(&file.path, &file.text);
    let files: Vec<File> = files.filter(is_product).collect();
    assert!(files.len() > 20, "the tree was not found: {} files", files.len());
    files
}

#[test]
fn imports_run_one_way_and_heavy_libraries_have_one_owner() {
    let (members, edges) = layering::edges(&tree::metadata());
    assert!(members.len() > 10 && edges.len() > members.len(), "cargo metadata named {} members", members.len());
    none(&layering::check(&members, &edges));
}

#[test]
fn files_and_functions_fit() {
    let files = product_files();
    let mut found: Vec<Violation> = files.iter().filter_map(|file| length::check_file(&file.path, &file.text)).collect();
    found.extend(files.iter().flat_map(|file| length::check_functions(&file.path, &file.text)));
    none(&found);
}

#[test]
fn nothing_gives_up_outside_tests() {
    let found: Vec<Violation> = product_files().iter().flat_map(|file| forbidden::check_calls(&file.path, &file.text)).collect();
    none(&found);
}

#[test]
fn no_tracked_file_names_a_path_of_one_machine() {
    let files = tree::files();
    let found: Vec<Violation> = files.iter().flat_map(|file| forbidden::check_machine_paths(&file.path, &file.text)).collect();
    none(&found);
}

#[test]
fn every_error_code_has_its_page_and_every_page_its_code() {
    let mut defined = Vec::new();
    for file in product_files() {
        defined.extend(pages::codes(&file.text).into_iter().map(|(code, line)| (code, format!("{}:{line}", file.path))));
    }
    assert!(defined.len() > 3, "only {} codes were found", defined.len());
    let mut texts = Vec::new();
    for file in tree::files() {
        let stem = file.path.strip_prefix("docs/errors/").and_then(|name| name.strip_suffix(".md"));
        if let Some(stem) = stem.filter(|stem| *stem != "README") {
            texts.push((stem.to_owned(), file.text.clone()));
        }
    }
    none(&pages::check(&defined, &texts));
}

#[test]
fn python_packages_are_locked() {
    let read = |path: String| std::fs::read_to_string(tree::root().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let check = |folder: &str| {
        let (requirements, lock) = (read(format!("{folder}/requirements.txt")), read(format!("{folder}/requirements.lock")));
        pins::check(folder, &requirements, &lock)
    };
    none(&["tests", "bench"].into_iter().flat_map(check).collect::<Vec<_>>());
}
