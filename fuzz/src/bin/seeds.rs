//! Writes the seeds of every target into a folder, one folder for each target.

use std::{env, fs, io, path::PathBuf};

use targets::TARGETS;

fn main() -> io::Result<()> {
    let into = env::args_os().nth(1).map(PathBuf::from);
    let into = into.ok_or_else(|| io::Error::other("usage: seeds FOLDER"))?;
    for target in TARGETS {
        let folder = into.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
