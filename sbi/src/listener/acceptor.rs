//! What connections are accepted from: a port, or a Unix socket for programs on this machine.

use std::fs::{self, Permissions};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};

/// Whoever comes through a Unix socket is on this machine, and has no port.
const ON_THIS_MACHINE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where connections come in.
pub trait Acceptor: Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and whose it is. Dropping the future loses none.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// Sets what a connection needs.
    ///
    /// # Errors
    /// It is gone already.
    fn prepare(stream: &Self::Stream) -> io::Result<()>;
}

impl Acceptor for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self).await
    }

    /// An answer does not wait until the peer has acknowledged the one before it.
    fn prepare(stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)
    }
}

/// A Unix socket that programs connect to. Its file goes with it.
#[derive(Debug)]
pub struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file.
    file: (u64, u64),
}

impl LocalSocket {
    /// Listens at `path`; `mode` says who may connect, which takes the right to write (unix(7)). Nobody is let in before it is set. A socket
    /// that is there already is replaced if nobody listens. Blocks on the disk.
    ///
    /// # Errors
    /// Somebody does listen there, or the file cannot be made.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        remove_abandoned(path)?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        Ok(Self {
            file: file_at(path)?,
            listener: socket.listen(super::BACKLOG)?,
            path: path.to_owned(),
        })
    }
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Removes the socket of a process that is gone.
fn remove_abandoned(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let is_refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .err()
            .is_some_and(is_refused)
    {
        fs::remove_file(path)?;
    }
    Ok(())
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // Somebody may have removed it already, and another process listen there since.
        if file_at(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Acceptor for LocalSocket {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, ON_THIS_MACHINE))
    }

    fn prepare(_stream: &UnixStream) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        let file = fs::metadata(path).expect("it is there");
        file.permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.sock");
        let socket = LocalSocket::bind(&path, 0o660).expect("it is free");
        assert_eq!(mode_of(&path), 0o660);
        let connected = UnixStream::connect(&path);
        let (accepted, connected) = tokio::join!(socket.accept(), connected);
        connected.expect("it listens");
        assert_eq!(accepted.expect("a connection").1, ON_THIS_MACHINE);
        let taken = LocalSocket::bind(&path, 0o600).expect_err("somebody listens");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.sock");
        let first = LocalSocket::bind(&path, 0o600).expect("it is free");
        // Kept, so that its number is not given again.
        fs::rename(&path, folder.path().join("taken away")).expect("it is there");
        let second = LocalSocket::bind(&path, 0o600).expect("it is free");
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_killed_process_has_left_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("it is free"));
        assert!(path.exists());
        drop(LocalSocket::bind(&path, 0o600).expect("it was abandoned"));
        fs::write(&path, "text").expect("written");
        LocalSocket::bind(&path, 0o600).expect_err("a file is there");
        assert_eq!(fs::read_to_string(&path).expect("it stays"), "text");
    }
}
