//! Embeds the pages of docs/errors, so that `loopwright explain` needs no files at run time, and has the binary linked compactly.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    embed_error_pages();
    let is = |variable: &str, value: &str| std::env::var(variable).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        // A table of relocations of some megabytes, all read at each start, becomes one of some kilobytes (needs glibc 2.36).
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

fn embed_error_pages() {
    // Asked for when the script runs, not when it is compiled: a target folder that was copied belongs to another tree.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let pages = Path::new(&manifest).join("../../docs/errors");
    println!("cargo:rerun-if-changed={}", pages.display());
    let mut entries: Vec<_> = std::fs::read_dir(&pages).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    entries.sort();
    assert!(!entries.is_empty(), "{} holds the pages of the error codes", pages.display());
    let mut source = String::from("/// Every error code with its page.\nconst ERROR_PAGES: &[(&str, &str)] = &[\n");
    for path in entries {
        let code = path.file_stem().expect("a page has a name").to_string_lossy().into_owned();
        if code != "README" {
            writeln!(source, "    ({code:?}, include_str!({:?})),", path.display().to_string()).expect("writing to a string");
        }
    }
    source.push_str("];\n");
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&out).join("error_pages.rs"), source).expect("OUT_DIR is writable");
}
