//! `bluetick check`: everything that can be said about a configuration before anything starts.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::exit::{Answer, Code, Trouble};
use crate::clock::Clock;
use crate::config::{self, Config, ConfigError, Place, Problem};
use crate::http::{BadCertificate, Certificate};

/// What to look at.
#[derive(Clone, Debug, Default, Args)]
pub struct CheckArgs {
    /// The configuration; else $BLUETICK_CONFIG, ./config.toml, /etc/bluetick/config.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Says what is wrong, as an error, or what is fine.
pub(super) fn run(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let file = config::file_in_use(args.config.as_deref());
    let name = file
        .as_ref()
        .map_or("no file, only defaults and the environment".to_owned(), |file| file.display().to_string());
    let config = Config::load(args.config.as_deref()).and_then(with_certificate);
    if args.json {
        let problems: Vec<_> = config.as_ref().err().iter().flat_map(|error| &error.0).map(problem).collect();
        let warnings = config.as_ref().map(Config::warnings).unwrap_or_default();
        writeln!(out, "{}", json!({"file": file, "ok": config.is_ok(), "problems": problems, "warnings": warnings}))?;
        return config.map(|_| Answer::Yes).map_err(|_| Trouble::Told(Code::Configuration).into());
    }
    let config = config?;
    writeln!(out, "{name}: fine")?;
    for warning in config.warnings() {
        writeln!(out, "  note: {warning}")?;
    }
    Ok(Answer::Yes)
}

/// What `serve` reads besides: only it and this command need to be allowed to.
fn with_certificate(config: Config) -> Result<Config, ConfigError> {
    let wrong = |error: BadCertificate| ConfigError(vec![Problem { place: Place::Nowhere, detail: error.to_string() }]);
    Certificate::load(&config.http, Clock::System.now()).map_err(wrong)?;
    Ok(config)
}

/// Where it is wrong, for programs, and how a person is told.
fn problem(problem: &Problem) -> Value {
    let (file, line, column, variable) = match &problem.place {
        Place::File(spot) => (Some(&spot.file), Some(spot.line), Some(spot.column), None),
        Place::Variable(name) => (None, None, None, Some(name)),
        Place::Nowhere => (None, None, None, None),
    };
    json!({
        "file": file, "line": line, "column": column, "variable": variable, "detail": problem.detail,
        "text": problem.to_string().trim_end(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_in_the_repository_is_fine() {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config.toml");
        let mut out = Vec::new();
        let answer = run(&CheckArgs { config: Some(file), json: false }, &mut out).expect("a configuration");
        let said = String::from_utf8(out).expect("text");
        assert!(answer == Answer::Yes && said.contains("config.toml: fine") && said.contains("note: "), "{said}");
    }

    #[test]
    fn a_missing_configuration_is_an_error_for_programs_too() {
        let mut out = Vec::new();
        let args = CheckArgs { config: Some("/nowhere/config.toml".into()), json: true };
        assert!(run(&args, &mut out).is_err());
        let said: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!((&said["ok"], said["problems"].as_array().map(Vec::len)), (&json!(false), Some(1)));
    }
}
