//! Logs on an object store in memory whose requests fail, whose answers are lost, and which two writers want.

mod contract;
mod fallible;
mod two_writers;
