//! Which image a container is made from, and when the server in it is ready.

use testcontainers::core::{ContainerPort, WaitFor, wait::LogWaitStrategy};

/// An image that behaves as the official one of PostgreSQL does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    name: String,
    tag: String,
}

impl Image {
    /// The images to look for, the preferred one first: the one `TENANTRY_TEST_PG_IMAGE` names, or the usual ones.
    pub(super) fn candidates() -> Vec<Self> {
        match std::env::var("TENANTRY_TEST_PG_IMAGE") {
            Ok(reference) if !reference.is_empty() => vec![Self::named(&reference)],
            _ => vec![
                Self::named("postgres:17"),
                Self::named("tenantry-test/postgres:15"),
            ],
        }
    }

    /// A colon before a slash belongs to the registry's port.
    fn named(reference: &str) -> Self {
        match reference.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => Self {
                name: name.into(),
                tag: tag.into(),
            },
            _ => Self {
                name: reference.into(),
                tag: "latest".into(),
            },
        }
    }

    pub(super) fn reference(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }
}

impl testcontainers::Image for Image {
    fn name(&self) -> &str {
        &self.name
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    /// Twice: the first time it is the server that only prepares the database, which nobody can reach.
    fn ready_conditions(&self) -> Vec<WaitFor> {
        let ready = "database system is ready to accept connections";
        vec![WaitFor::log(
            LogWaitStrategy::stdout_or_stderr(ready).with_times(2),
        )]
    }

    fn expose_ports(&self) -> &[ContainerPort] {
        const POSTGRES: [ContainerPort; 1] = [ContainerPort::Tcp(5432)];
        &POSTGRES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags() {
        for (reference, name, tag) in [
            ("postgres:17", "postgres", "17"),
            ("postgres", "postgres", "latest"),
            (
                "localhost:5000/db/postgres",
                "localhost:5000/db/postgres",
                "latest",
            ),
            (
                "localhost:5000/db/postgres:15",
                "localhost:5000/db/postgres",
                "15",
            ),
        ] {
            assert_eq!(
                Image::named(reference),
                Image {
                    name: name.into(),
                    tag: tag.into()
                }
            );
        }
    }
}
