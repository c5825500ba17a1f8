#!/bin/bash
# Builds the program with each of the bugs of Cargo.toml (`mutant-…`), and shows that the tests find it.
set -euo pipefail
cd "$(dirname "$0")/.."

# Else a program with a bug would lie where the good one is looked for.
trap 'cargo build --locked' EXIT

mutants=$(sed -n 's/^\(mutant-[a-z-]*\) = .*/\1/p' Cargo.toml)
for mutant in $mutants; do
  echo "== $mutant"
  cargo test --locked --features "$mutant" --test integration -- chaos::planted
done
