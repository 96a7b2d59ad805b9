//! Real links: real namespaces, real kernel TCP. As root only; elsewhere each test says that it was skipped.

mod access;
mod cliff;
mod network;
mod support;
