//! The log as its users see it: crash and recovery, damage, concurrency, issuance, landmarks, witnesses.

mod certificates;
mod crash;
mod damage;
mod directory;
mod issuance;
mod landmarks;
mod largest;
mod storage;
mod tree;
mod witness;
mod world;
