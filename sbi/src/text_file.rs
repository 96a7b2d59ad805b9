//! Text files that people write, which are UTF-8 here.

use std::io;
use std::path::Path;

use thiserror::Error;

/// Where a file stops being UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8")]
pub struct NotUtf8 {
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
    /// What is there.
    pub byte: u8,
}

impl NotUtf8 {
    fn at(bytes: &[u8], place: usize) -> Self {
        let before = &bytes[..place];
        let line = before.rsplit(|byte| *byte == b'\n').next();
        Self {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: 1 + String::from_utf8_lossy(line.unwrap_or_default())
                .chars()
                .count(),
            byte: bytes.get(place).copied().unwrap_or_default(),
        }
    }
}

/// Where a file is wanted there is a folder, such as that of the lab which the file is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is a folder; name a file in it")]
pub struct IsFolder;

/// The text of a file. Blocks on the disk.
///
/// # Errors
/// The file cannot be read, or is [`IsFolder`] or holds [`NotUtf8`], which is then the error's source.
pub fn read(path: &Path) -> io::Result<String> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory => io::Error::new(error.kind(), IsFolder),
        _ => error,
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let error = NotUtf8::at(error.as_bytes(), place);
        io::Error::new(io::ErrorKind::InvalidData, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf_8_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "é = 1\n").unwrap();
        assert_eq!(read(&path).unwrap(), "é = 1\n");
        std::fs::write(&path, b"a = 1\n\xc3\xa9 caf\xe9\n").unwrap();
        assert_eq!(
            read(&path).unwrap_err().to_string(),
            "line 2, column 6: the byte 0xe9 is not UTF-8; save the file as UTF-8"
        );
        std::fs::write(&path, b"\xc3").unwrap();
        assert_eq!(
            read(&path).unwrap_err().to_string(),
            "line 1, column 1: the byte 0xc3 is not UTF-8; save the file as UTF-8"
        );
        let folder = read(folder.path()).unwrap_err();
        assert_eq!(folder.kind(), io::ErrorKind::IsADirectory);
        assert_eq!(folder.to_string(), "it is a folder; name a file in it");
    }
}
