//! What the files of a version are, by their first bytes: formats that run code when they are loaded are known as such. Nothing here
//! loads anything.

use serde::Serialize;

/// How much of a file tells its format.
pub(crate) const HEAD_BYTES: u64 = 512;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// Python's pickle, and cloudpickle and joblib, which write it.
    Pickle,
    /// Compressed, as joblib writes it; what is in it is a pickle.
    CompressedPickle,
    /// An archive of PyTorch: its modules are code or pickles.
    Torch,
    /// An archive of Keras, whose layers may be code.
    Keras,
    /// HDF5, in which older versions of Keras keep layers that may be code.
    Hdf5,
    Zip,
    Other,
}

impl Format {
    /// Whether loading a file of the format can run code that is in it.
    pub fn executes(self) -> bool {
        matches!(self, Self::Pickle | Self::CompressedPickle | Self::Torch | Self::Keras | Self::Hdf5)
    }

    /// The format of a file that begins like this. The name decides only what its bytes leave open.
    pub fn of(path: &str, head: &[u8]) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let is_named = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match head {
            // PROTO and a protocol from 2 to 5, then FRAME or any opcode.
            [0x80, 2..=5, ..] => Self::Pickle,
            [b'P', b'K', 3, 4, ..] => Self::of_archive(&name, head),
            [0x89, b'H', b'D', b'F', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Hdf5,
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]
            | [0x1f, 0x8b, ..]
            | [b'B', b'Z', b'h', ..]
            | [0xfd, b'7', b'z', b'X', b'Z', ..]
            | [0x04, 0x22, 0x4d, 0x18, ..]
            | [0x28, 0xb5, 0x2f, 0xfd, ..]
                if is_named(&[".pkl", ".pickle", ".joblib", ".pkl.gz", ".z", ".cloudpickle"]) =>
            {
                Self::CompressedPickle
            }
            // Protocols 0 and 1 have no mark: a text of opcodes.
            [b'(' | b'c' | b']' | b'}', ..] if is_named(&[".pkl", ".pickle", ".joblib", ".pt", ".pth"]) => Self::Pickle,
            _ => Self::Other,
        }
    }

    /// PyTorch begins its archives with `NAME/data.pkl` or `NAME/.format_version`, Keras with `metadata.json`.
    fn of_archive(name: &str, head: &[u8]) -> Self {
        let name_length = head.get(26..28).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes);
        let first = head.get(30..30 + usize::from(name_length)).unwrap_or_default();
        let ends_with = |ending: &str| first.ends_with(ending.as_bytes());
        if ends_with("/data.pkl") || ends_with("/version") || ends_with("/.format_version") || ends_with("/byteorder") {
            return Self::Torch;
        }
        if name.ends_with(".keras") || first == b"metadata.json" || first == b"config.json" {
            return Self::Keras;
        }
        if [".pt", ".pth", ".ts", ".ptl"].iter().any(|ending| name.ends_with(ending)) {
            return Self::Torch;
        }
        Self::Zip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(first: &str) -> Vec<u8> {
        let mut head = vec![0; 26];
        head.splice(0..4, *b"PK\x03\x04");
        head.extend(u16::try_from(first.len()).unwrap().to_le_bytes());
        head.extend([0, 0]);
        head.extend(first.as_bytes());
        head
    }

    #[test]
    fn formats_are_known_by_their_bytes_not_their_names() {
        let check = |path: &str, head: &[u8], want: Format| assert_eq!(Format::of(path, head), want, "{path}");
        check("model.pkl", b"\x80\x05\x95\x10", Format::Pickle);
        check("harmless.txt", b"\x80\x04\x95\x10", Format::Pickle);
        check("model.joblib", b"\x78\x9c\x01", Format::CompressedPickle);
        check("data.gz", b"\x1f\x8b\x08", Format::Other);
        check("old.pkl", b"(dp0\n", Format::Pickle);
        check("model.pth", &archive("archive/data.pkl"), Format::Torch);
        check("weights.bin", &archive("model/.format_version"), Format::Torch);
        check("model.keras", &archive("metadata.json"), Format::Keras);
        check("model.h5", b"\x89HDF\r\n\x1a\n", Format::Hdf5);
        check("code.zip", &archive("a.py"), Format::Zip);
        check("model.onnx", b"\x08\x07\x12\x07pytorch", Format::Other);
        check("MLmodel", b"artifact_path: m", Format::Other);
        check("conda.yaml", b"channels:", Format::Other);
        check("empty", b"", Format::Other);
        assert!(Format::Pickle.executes() && Format::Hdf5.executes() && !Format::Other.executes() && !Format::Zip.executes());
    }
}
