//! A terminal of the kernel's, for commands that ask what they write to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The side that shows what was written, and the name of the other.
pub struct Terminal {
    /// What was written can be read here.
    pub screen: File,
    name: String,
}

impl Terminal {
    /// A terminal of so many columns.
    ///
    /// # Errors
    /// The system has none.
    pub fn open(columns: u16) -> io::Result<Self> {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&screen)?;
        unlockpt(&screen)?;
        let name = ptsname(&screen, Vec::new())?;
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&screen, size)?;
        Ok(Self {
            screen: File::from(screen),
            name: name.into_string().map_err(io::Error::other)?,
        })
    }

    /// The side that a command has.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn side(&self) -> io::Result<File> {
        let noctty = i32::try_from(OpenptFlags::NOCTTY.bits()).map_err(io::Error::other)?;
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(noctty)
            .open(&self.name)
    }
}
