//! `log`: the log of a board, from its serial line.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::show;
use crate::output::say;
use crate::run::{Decoder, Line, Listener, Source, Tally, decoder_of_dist};
use planner::failure::{Failure, Outcome};

/// Arguments of `log`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// What the line brought: a file, `-` for standard input, or a serial port, which is read until Ctrl-C
    pub from: PathBuf,
    /// The folder of the system that runs on the board, as `cargo xtask dist` made it: target/dist/NAME
    #[arg(long, value_name = "DIR")]
    pub dist: PathBuf,
    /// Speed of the serial port in bits a second
    #[arg(long, value_name = "BITS", default_value_t = 115_200)]
    pub baud: u32,
    /// Append the bytes to this file as well, as they come
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Outcome<u8> {
    let decoder = decoder_of_dist(&arguments.dist)?;
    let source = Source::open(&arguments.from, arguments.baud)?;
    let colour = std::io::stdout().is_terminal();
    let width = show::width_of(decoder.names());
    let mut show = |line: &Line| say!("{}", show::line(line, width, colour));
    let tally = follow(source, decoder, arguments.record.as_deref(), &mut show)?;
    if !tally.is_whole() {
        eprintln!("not everything arrived as it was sent: {tally}");
    }
    Ok(0)
}

/// Hands on every line until the source ends or the user asks to stop.
pub fn follow(
    mut source: Source,
    decoder: Decoder,
    record: Option<&Path>,
    show: &mut dyn FnMut(&Line),
) -> Outcome<Tally> {
    let mut copy = record.map(opened).transpose()?;
    let mut listener = Listener::new(decoder);
    while let Some(heard) = source.next()? {
        let lines = if heard.is_empty() {
            listener.pause()
        } else {
            if let Some((file, name)) = &mut copy {
                let cannot = format!("cannot write {name}");
                file.write_all(&heard).map_err(Failure::when(cannot))?;
            }
            listener.push(&heard)
        };
        lines.iter().for_each(&mut *show);
    }
    listener.pause().iter().for_each(&mut *show);
    Ok(listener.tally().clone())
}

fn opened(file: &Path) -> Outcome<(std::fs::File, String)> {
    let name = file.display().to_string();
    let mut options = std::fs::OpenOptions::new();
    let opened = options.create(true).append(true).open(file);
    let opened = opened.map_err(Failure::when(format!("cannot write {name}")))?;
    Ok((opened, name))
}
