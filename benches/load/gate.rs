//! Bounds that a bench must keep, so that it can fail.

use serde::Serialize;

/// A figure that must not be missed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Gate {
    name: String,
    value: f64,
    bound: f64,
    passed: bool,
}

impl Gate {
    pub(crate) fn at_least(name: impl Into<String>, value: f64, bound: f64) -> Self {
        Self { name: name.into(), value, bound, passed: value >= bound }
    }

    pub(crate) fn at_most(name: impl Into<String>, value: f64, bound: f64) -> Self {
        Self { name: name.into(), value, bound, passed: value <= bound }
    }
}

/// Prints every gate; an error if one is missed.
pub(crate) fn judge(gates: &[Gate]) -> anyhow::Result<()> {
    println!();
    for gate in gates {
        let verdict = if gate.passed { "pass" } else { "MISS" };
        println!("{verdict}  {:<58} {:>10.3}  (gate {:.3})", gate.name, gate.value, gate.bound);
    }
    let missed = gates.iter().filter(|gate| !gate.passed).count();
    anyhow::ensure!(missed == 0, "{missed} of {} gates missed", gates.len());
    Ok(())
}
