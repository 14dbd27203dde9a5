use std::path::Path;
use std::process::Command;

use lw_core::Digest;
use lw_store::testing::TestDirectory;
use lw_tracking::{Circumstances, CodeVersion};

fn git(directory: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=ana", "-c", "user.email=ana@example.org", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").arg("-C").arg(directory).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_code_version_tells_clean_from_dirty_and_one_change_from_another() {
    let directory = TestDirectory::make();
    let path = directory.path();
    assert_eq!(CodeVersion::of_directory(path), None, "a directory outside git has no version");
    std::fs::write(path.join("train.py"), "print(1)\n").unwrap();
    std::fs::write(path.join("uv.lock"), "version = 1\n").unwrap();
    git(path, &["init", "--quiet"]);
    assert_eq!(CodeVersion::of_directory(path), None, "a repository without commits has no version");
    git(path, &["add", "."]);
    git(path, &["commit", "--quiet", "--message", "first"]);

    let clean = CodeVersion::of_directory(path).unwrap();
    assert_eq!((clean.commit.len(), clean.branch.as_deref(), clean.dirty), (40, Some("main"), None));
    std::fs::write(path.join("train.py"), "print(2)\n").unwrap();
    let edited = CodeVersion::of_directory(path).unwrap().dirty.unwrap();
    std::fs::write(path.join("new.py"), "print(3)\n").unwrap();
    let with_new = CodeVersion::of_directory(path).unwrap().dirty.unwrap();
    std::fs::write(path.join("new.py"), "print(4)\n").unwrap();
    let with_other = CodeVersion::of_directory(path).unwrap().dirty.unwrap();
    assert!(edited != with_new && with_new != with_other);

    let circumstances = Circumstances::of_directory(path);
    let environment = circumstances.environment.unwrap();
    assert_eq!(environment.locks["uv.lock"], Digest::of(b"version = 1\n"));
    let hardware = circumstances.hardware.unwrap();
    assert!(hardware.n_cpus >= 1 && hardware.memory_bytes.unwrap() > 1 << 20);
}
