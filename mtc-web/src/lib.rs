//! What is below a URL: files of a log, requests to a witness.
//!
//! ```text
//! "https://logs.example/mtc"  ──>  Prefix  ──>  Client ── get("1/checkpoint") ──> GET /mtc/1/checkpoint ──> Answer, bounded
//!                                                 │                                                           │
//!                                                 └── post("add-checkpoint", ...)              file(): 200 or an error, decoded
//! ```
//!
//! `http` is HTTP/1.1, `https` is TLS 1.3 and whichever of HTTP/2 and HTTP/1.1 the server chooses: what every server of static
//! files speaks. Connections are kept, and a request on one that the server had closed is made again.

mod client;
mod prefix;

pub use self::client::{
    Answer, Client, Connections, HttpError, Tagged, connections, trust_in, trust_of_the_system,
};
pub use self::prefix::{Prefix, UrlError};
