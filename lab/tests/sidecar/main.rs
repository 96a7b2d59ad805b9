//! Sidecars in front of programs that know nothing of mutual TLS: nghttpd, curl, PostgreSQL, etcd. Where one is missing, its test says so and is
//! skipped.

mod beside;
mod grpc;
mod http;
mod http1;
mod pair;
mod redirect;
mod sets;
mod tcp;
mod tls;
mod upgrade;
