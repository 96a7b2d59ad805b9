//! Certificates issued per second and core, batches of 1000: `cargo bench -p mtc-bench --bench issuance`.
//!
//! First what a batch takes on the wall, by divan; then certificates per second of CPU time of the whole process, in
//! rounds that alternate between a log in memory and one on disk, the median batch of each. On disk the wall is the disk's: a batch waits for five
//! commits of its journal (tiles and their directories, signed checkpoint, the witness's, published checkpoint).

use divan::Bencher;
use divan::counter::ItemsCount;
use mtc_bench::issuance::{IssuanceError, IssuanceFixture, LogStorage};

const BATCH: usize = 1000;
const STORAGES: [LogStorage; 2] = [LogStorage::Memory, LogStorage::Directory];
const ROUNDS: usize = 5;
const BATCHES_IN_ROUND: usize = 20;

fn main() -> Result<(), IssuanceError> {
    divan::main();
    let fixtures = STORAGES.map(|storage| fixture(storage).map(|fixture| (storage, fixture)));
    let fixtures = fixtures.into_iter().collect::<Result<Vec<_>, _>>()?;
    println!("| round | storage | per second and core | per second of wall time |");
    println!("| --- | --- | --- | --- |");
    for round in 1..=ROUNDS {
        for (storage, fixture) in &fixtures {
            let cost = fixture.cost(BATCHES_IN_ROUND)?;
            let (core, wall) = (cost.per_cpu_second(), cost.per_second());
            println!("| {round} | {storage:?} | {core:.0} | {wall:.0} |");
        }
    }
    Ok(())
}

/// A fixture whose certificates verify.
fn fixture(storage: LogStorage) -> Result<IssuanceFixture, IssuanceError> {
    let fixture = IssuanceFixture::new(storage, BATCH)?;
    fixture.verify(&fixture.issue()?)?;
    Ok(fixture)
}

#[divan::bench(args = STORAGES, sample_count = 30, sample_size = 1)]
fn issue_batch_of_1000(bencher: Bencher<'_, '_>, storage: LogStorage) {
    let fixture = fixture(storage).expect("keys, a directory and valid certificates");
    bencher
        .counter(ItemsCount::new(BATCH))
        .bench_local(|| fixture.cost(1));
}
