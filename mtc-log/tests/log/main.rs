//! The log as its users see it: crash and recovery, damage, concurrency, issuance, landmarks, witnesses.

mod certificates;
mod contract;
mod crash;
mod damage;
mod directory;
mod issuance;
mod landmarks;
mod largest;
mod mirror;
mod mirroring;
mod quorum;
mod restore;
mod storage;
mod tree;
mod witness;
