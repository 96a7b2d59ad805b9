//! Writes the valid inputs of every target, for libFuzzer to start from: `write-seeds FOLDER` makes `FOLDER/<target>/<n>`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: write-seeds FOLDER");
        return ExitCode::FAILURE;
    };
    match write_seeds(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write seeds below {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write_seeds(folder: &std::path::Path) -> io::Result<()> {
    for target in mtc_fuzz_entry::TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(number.to_string()), seed)?;
        }
    }
    Ok(())
}
