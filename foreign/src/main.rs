//! TLS on BoringSSL, which is no software of this project: what does a server of the lab serve to it, what does it choose from the lab's
//! certificates as a server, and does it verify?
//!
//! ```text
//! foreign ADDRESS NAME [--trust-anchor ID]... [--ca FILE] [--leaf FILE]
//! foreign --serve ADDRESS --credential CHAIN KEY... [--ca FILE] [--leaf FILE]
//!
//!   --trust-anchor ID   named in the extension trust_anchors, such as 32473.1 or 32473.1.2.1.7; may be repeated
//!   --no-trust-anchors  the extension is left out; without this and without IDs it is sent empty
//!   --credential CHAIN KEY   what a server has: a chain with its certificate properties and its key, both PEM; may be repeated, the
//!                       first that fits a client is shown to it
//!   --ca FILE           the CA certificate, DER: the peer's certificate must verify (draft-ietf-plants-merkle-tree-certs-07), and a
//!                       server asks for one; without, anything is taken
//!   --leaf FILE         where the peer's certificate goes, DER
//! ```
//!
//! A client has one handshake. A server has one after the other, says `listening` when it is ready, and a line for each. Exit status 0: a
//! handshake. 1: none, with BoringSSL's reason. 2: usage. See docs/interop.md.

mod boringssl;
mod trust_anchor;

use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use boringssl::{End, Error, Met};

#[derive(Default)]
struct Options {
    /// Whether to be a server.
    serve: bool,
    address: String,
    /// The server's; of a client.
    name: String,
    /// The extension's list; none if it is not sent.
    trust_anchors: Option<Vec<u8>>,
    /// Chains and keys of a server.
    credentials: Vec<(Vec<u8>, Vec<u8>)>,
    ca: Option<Vec<u8>>,
    leaf: Option<String>,
}

fn options(arguments: impl IntoIterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        trust_anchors: Some(Vec::new()),
        ..Options::default()
    };
    let mut positional = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs a value"))
        };
        let read = |path: String| std::fs::read(&path).map_err(|error| format!("{path}: {error}"));
        match argument.as_str() {
            "--serve" => options.serve = true,
            "--trust-anchor" => {
                let id = value()?;
                let binary = trust_anchor::binary(&id)
                    .ok_or_else(|| format!("{id} is not a trust anchor ID"))?;
                let list = options.trust_anchors.get_or_insert_default();
                list.push(binary.len() as u8);
                list.extend(binary);
            }
            "--no-trust-anchors" => options.trust_anchors = None,
            "--credential" => options.credentials.push((read(value()?)?, read(value()?)?)),
            "--ca" => options.ca = Some(read(value()?)?),
            "--leaf" => options.leaf = Some(value()?),
            other if other.starts_with("--") => return Err(format!("unknown option {other}")),
            _ => positional.push(argument),
        }
    }
    if options.serve == options.credentials.is_empty() {
        return Err("a server, and no client, has credentials".to_owned());
    }
    let mut positional = positional.into_iter();
    let (address, name) = (positional.next(), positional.next());
    match (address, name, positional.next()) {
        (Some(address), None, None) if options.serve => Ok(Options { address, ..options }),
        (Some(address), Some(name), None) if !options.serve => Ok(Options {
            address,
            name,
            ..options
        }),
        _ => Err("give ADDRESS and NAME, or --serve and ADDRESS".to_owned()),
    }
}

fn run(options: &Options) -> Result<(), Error> {
    let mut end = End::new()?;
    if let Some(ca) = &options.ca {
        end.trust(ca)?;
    }
    if !options.serve {
        if let Some(list) = &options.trust_anchors {
            end.request_trust_anchors(list)?;
        }
        let tcp = TcpStream::connect(&options.address)?;
        return tell(&end.connect(&tcp, &options.name)?, options);
    }
    for (chain, key) in &options.credentials {
        end.add_credential(chain, key)?;
    }
    let listener = TcpListener::bind(&options.address)?;
    println!("listening");
    for tcp in listener.incoming() {
        match end.accept(&tcp?) {
            Ok(met) => tell(&met, options)?,
            Err(error) => println!("no handshake: {error}"),
        }
    }
    Ok(())
}

fn tell(met: &Met, options: &Options) -> Result<(), Error> {
    let certificate = match &met.leaf {
        Some(leaf) => format!("certificate of {} bytes", leaf.len()),
        None => "no certificate".to_owned(),
    };
    if let (Some(path), Some(leaf)) = (&options.leaf, &met.leaf) {
        std::fs::write(path, leaf)?;
    }
    let verified = if options.ca.is_some() {
        "verified by BoringSSL"
    } else {
        "not verified"
    };
    println!(
        "handshake: {}, {}, {certificate}, {verified}",
        met.version, met.cipher
    );
    Ok(())
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("no handshake: {error}");
            ExitCode::FAILURE
        }
    }
}
