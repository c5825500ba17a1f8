//! Sets of migrations that others wrote and published.
//!
//! Read from the folder named by `TENANTRY_CORPORA`: one folder a repository, called `owner__name`, with the repository's
//! own paths in it (`docs/real-sets.md` tells how to get them). Where it is not set the tests say that they were skipped.

mod carried;
mod classes;
mod corpus;
mod dumped;
mod formats;
mod page;
mod psql;
mod sets;
mod statements;
mod verdicts;
mod verified;
