//! A network stack of its own: devices, addresses, routes, sockets.
//!
//! Namespaces belong to threads, and a socket or a process belongs to the namespace of the thread that made it, for good.
//! So [`Namespace::run`] enters the namespace on a thread that does nothing else and ends.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// The namespace of the thread that opens it.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace. It lives as long as this value, or a thread, process or socket in it.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// A new one, with nothing but a loopback device that is down.
    ///
    /// # Errors
    /// The system refuses; without privileges with [`io::ErrorKind::PermissionDenied`].
    pub fn new() -> io::Result<Self> {
        on_own_thread(|| {
            #[expect(
                deprecated,
                reason = "deprecated because unsharing file descriptors is unsafe; unsharing the network alone is not"
            )]
            rustix::thread::unshare(UnshareFlags::NEWNET)?;
            Ok(Self(File::open(OWN)?))
        })
    }

    /// Runs `inside` in the namespace and returns what it returns. Blocks.
    ///
    /// # Errors
    /// The namespace cannot be entered, or what `inside` says.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_own_thread(|| {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?;
            inside()
        })
    }
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
