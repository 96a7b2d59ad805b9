//! What every storage keeps: in a folder and in memory, whole and failing.

use std::sync::Arc;

use mtc_log::DirectoryStorage;
use tempfile::TempDir;
use test_support::storage_contract::{self, Fallible, Fault, Place};

use crate::storage::MemoryStorage;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }
}

impl Place for Folder {
    type Storage = DirectoryStorage;

    fn open(&self) -> Arc<DirectoryStorage> {
        Arc::new(DirectoryStorage::open(self.0.path()).expect("nobody else has it"))
    }
}

#[derive(Default)]
struct Memory(Arc<MemoryStorage>);

impl Place for Memory {
    type Storage = MemoryStorage;

    fn open(&self) -> Arc<MemoryStorage> {
        self.0.clone()
    }
}

impl Fallible for Memory {
    fn fail_after(&self, successes: usize, fault: Fault) {
        self.0.fail_after(successes, fault);
    }

    fn disarm(&self) -> bool {
        self.0.disarm()
    }
}

#[test]
fn a_folder_keeps_what_is_put() {
    storage_contract::keeps_what_is_put(&Folder::new());
}

#[test]
fn a_folder_keeps_logs() {
    storage_contract::keeps_logs(&Folder::new());
}

#[test]
fn a_folder_is_rid_of_what_is_superseded() {
    storage_contract::removes_what_is_superseded(&Folder::new());
}

#[test]
fn after_any_interrupted_write_the_log_continues_with_everything_acknowledged() {
    storage_contract::a_log_survives_any_failed_write::<Memory>();
}

#[test]
fn a_second_fault_while_the_log_is_reopened_loses_nothing() {
    storage_contract::a_log_survives_a_failed_write_while_it_is_reopened::<Memory>();
}
