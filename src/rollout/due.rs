//! Whether a run that was claimed is still to be carried, and what of its schema's past is the rollout's own doing: pure, from
//! what its row, the registry and the schema's head and history say.

use crate::{
    history::{Digest, Head},
    migration::Direction,
    store::{
        history::Standing,
        runs::{Claimed, Place},
    },
    tenant::TenantState,
    travel::{Aim, Why},
};

/// What is known of a schema that a run is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) run: &'a Claimed,
    pub(super) head: &'a Head,
    /// How many migrations are applied.
    pub(super) applied: usize,
    /// How many of the last entries of its history, in a row, are this rollout's.
    pub(super) own: usize,
}

/// What has happened to a schema since its run was planned, or tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Since {
    /// Where somebody else has taken it.
    pub(super) found: Option<Place>,
    /// Where this rollout has, of which nobody has told: whoever did it is dead, or lost its connection.
    pub(super) left: Option<Place>,
}

/// Why a run is left alone, in a word and in words.
pub(super) type Skip = (&'static str, String);

/// Whether the schema stands where it was expected, so that nobody need be asked who was at it. Of one of which nothing was
/// known, nobody was: that is noted before it is begun.
pub(super) fn is_expected(run: &Claimed, head: &Head) -> bool {
    let expected = run.to_digest.as_ref().or(run.from_digest.as_ref());
    is_at(expected.map(Vec::as_slice), head)
}

/// Whether the schema stands where it was expected: see [`is_expected`].
pub(super) fn is_at(expected: Option<&[u8]>, head: &Head) -> bool {
    expected.is_none_or(|expected| head.digest.0 == expected)
}

/// Whether all is the rollout's that is above what was planned for, so many of the last things done there being its own.
pub(super) fn is_own(planned: Option<i32>, applied: usize, own: usize) -> bool {
    let planned = usize::try_from(planned.unwrap_or_default()).unwrap_or_default();
    own > 0 && applied.saturating_sub(own) <= planned
}

/// Why a tenant is not to be moved, as the registry has it; none where it is.
pub(super) fn out_of_use(run: &Claimed) -> Option<Skip> {
    let name = &run.schema_name;
    let state = run.tenant.as_deref();
    let is = |of: TenantState| state == Some(of.as_str());
    if is(TenantState::Active) {
        return None;
    }
    let why = if is(TenantState::Suspended) {
        format!("it is suspended, and nobody moves it; `tenantry tenant resume {name}` has it back")
    } else if is(TenantState::Retiring) {
        format!(
            "it is being retired, and nobody moves it; `tenantry tenant show {name}` says whether it can be had back"
        )
    } else if is(TenantState::Renaming) {
        format!(
            "it is being renamed, and nobody moves it meanwhile; `tenantry tenant show {name}` says how that is finished"
        )
    } else if state.is_some() {
        "its schema is being made, and nobody moves it".to_owned()
    } else {
        "it was retired: no tenant of this shard has that name any more".to_owned()
    };
    Some(("unused", why))
}

impl Seen<'_> {
    /// What has happened on the way forth.
    pub(super) fn since(&self) -> Since {
        if is_expected(self.run, self.head) {
            return Since::default();
        }
        let place = Some(self.place());
        match is_own(self.run.from_applied, self.applied, self.own) {
            true => Since {
                left: place,
                ..Since::default()
            },
            false => Since {
                found: place,
                ..Since::default()
            },
        }
    }

    /// Why a schema is not taken back; none where the last thing that was done to it is what the rollout did, or where there
    /// is nothing to take back.
    pub(super) fn not_back(&self, kept: Digest) -> Option<Skip> {
        let (run, head) = (self.run, self.head);
        if let Some(running) = head.running.filter(|r| r.direction == Direction::Up) {
            let why = Why::Unfinished(running, None);
            let why = format!("it cannot be taken back: {why}; `tenantry down` then takes it back");
            return Some(("unfinished", why));
        }
        if head.digest == kept {
            return None;
        }
        let is_left = match self.is_noted() {
            true => self.own > 0,
            // A tenantry of before has moved it, which noted less, here and in the history.
            false => {
                let version = head.version.map(|version| version.to_string());
                let applied = i32::try_from(self.applied).ok();
                version == run.from_version && applied == run.from_applied
            }
        };
        let moved = || ("moved", MOVED.to_owned());
        (!is_left).then(moved)
    }

    /// Whether it is known what the rollout has left here, and who did what.
    pub(super) fn is_noted(&self) -> bool {
        let run = self.run;
        let is_known = |digest: &[u8]| digest != Digest::EMPTY.0;
        run.to_digest.is_some()
            || run.from_applied == Some(0)
            || run.from_digest.as_deref().is_some_and(is_known)
    }

    pub(super) fn place(&self) -> Place {
        Place::of(self.head, self.applied)
    }
}

/// Why it is left alone, of a schema that stands elsewhere.
pub(super) const MOVED: &str =
    "somebody has moved it since: what the rollout did is not what was done last";

/// Why a shared schema stays as it is under those that stand on it; none where nobody does.
pub(super) fn stood_on(standing: &Standing, rollout: i64) -> Option<Skip> {
    let first = standing.first.as_deref()?;
    let (tenants, they) = match standing.many {
        1 => ("1 tenant of this shard stays".to_owned(), "it"),
        many => (format!("{many} tenants of this shard stay"), "they"),
    };
    let why = format!(
        "{tenants} with what was applied after it, such as {first}, and may need what {they} found here; `tenantry down TENANT` \
         takes a tenant back, then `tenantry down --all --rollout {rollout}` does this one"
    );
    Some(("needed", why))
}

/// Whether what is in the way of a run is of its own making: then it has failed, and else it is left alone.
pub(super) fn is_own_fault(run: &Claimed, why: &Why) -> bool {
    matches!(why, Why::Dirty(..)) && matches!(run.fault.as_deref(), Some("escaped" | DIRTY))
}

/// The word for what a run has left half-way itself.
pub(super) const DIRTY: &str = "dirty";

/// So often it is looked again whether a tenant has its new name by now.
const LOOKS: i32 = 3;

/// Whether another look may find a run's schema elsewhere: its tenant is about to have another name, or has it since the run
/// was claimed.
pub(super) fn may_be_renamed(run: &Claimed, why: Option<&Why>) -> bool {
    let is_at_it = run.tenant.as_deref() == Some(TenantState::Renaming.as_str());
    let is_away = matches!(why, Some(Why::Unknown | Why::Gone | Why::Renamed(_)));
    (is_at_it && run.met < LOOKS) || (is_away && run.met == 0)
}

/// The hash of what is to be left of a schema on the way back; none on the way forth.
pub(super) fn kept(aim: Aim) -> Option<Digest> {
    match aim {
        Aim::Forth => None,
        Aim::Keep(_, digest) => Some(digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Running;

    fn run(from_applied: i32, from: u8) -> Claimed {
        Claimed {
            position: 1,
            schema_name: "acme".to_owned(),
            met: 0,
            keep_applied: None,
            keep_digest: None,
            is_taken_over: false,
            from_version: Some(from_applied.to_string()),
            from_applied: Some(from_applied),
            from_digest: Some(vec![from; 32]),
            to_digest: None,
            fault: None,
            tenant: Some("active".to_owned()),
        }
    }

    fn head(version: u64, digest: u8) -> Head {
        Head {
            version: Some(crate::migration::Version::new(version)),
            digest: Digest([digest; 32]),
            ..Head::default()
        }
    }

    fn seen<'a>(run: &'a Claimed, head: &'a Head, applied: usize, own: usize) -> Seen<'a> {
        Seen {
            run,
            head,
            applied,
            own,
        }
    }

    #[test]
    fn only_what_a_rollout_did_itself_counts_as_left_by_it() {
        let planned = run(2, 2);
        let (there, ahead) = (head(2, 2), head(4, 4));
        assert_eq!(seen(&planned, &there, 2, 0).since(), Since::default());
        let by_others = seen(&planned, &ahead, 4, 0).since();
        assert_eq!(
            (by_others.left, by_others.found.unwrap().applied),
            (None, 4)
        );
        // The third by somebody else, the fourth by a daemon that is dead.
        assert!(seen(&planned, &ahead, 4, 1).since().found.is_some());
        let by_itself = seen(&planned, &ahead, 4, 2).since();
        assert_eq!(
            (by_itself.found, by_itself.left.unwrap().applied),
            (None, 4)
        );
        // What an earlier try has left is expected.
        let tried = Claimed {
            to_digest: Some(vec![4; 32]),
            ..planned
        };
        assert_eq!(seen(&tried, &ahead, 4, 0).since(), Since::default());
    }

    #[test]
    fn who_was_moved_since_is_not_taken_back() {
        let (back, kept) = (run(2, 2), Digest([1; 32]));
        let stands = head(2, 2);
        assert_eq!(seen(&back, &stands, 2, 1).not_back(kept), None);
        let skip = |seen: Seen<'_>| seen.not_back(kept).unwrap().0;
        assert_eq!(skip(seen(&back, &stands, 2, 0)), "moved");
        // There is nothing to take back any more.
        assert_eq!(seen(&back, &head(1, 1), 1, 0).not_back(kept), None);
        // A tenantry of before has noted less.
        let of_before = run(2, 0);
        assert_eq!(seen(&of_before, &stands, 2, 0).not_back(kept), None);
        assert_eq!(skip(seen(&of_before, &head(3, 3), 3, 0)), "moved");
        let direction = |direction| Head {
            running: Some(Running {
                version: crate::migration::Version::new(3),
                direction,
            }),
            ..stands.clone()
        };
        let (up, down) = (direction(Direction::Up), direction(Direction::Down));
        assert_eq!(skip(seen(&back, &up, 2, 1)), "unfinished");
        assert_eq!(seen(&back, &down, 2, 1).not_back(kept), None);
    }

    #[test]
    fn who_is_out_of_use_is_left_alone_for_the_true_reason() {
        let of = |tenant: Option<&str>| Claimed {
            tenant: tenant.map(str::to_owned),
            ..run(1, 1)
        };
        assert_eq!(out_of_use(&of(Some("active"))), None);
        for (tenant, said) in [
            (Some("suspended"), "is suspended"),
            (Some("retiring"), "is being retired"),
            (Some("renaming"), "is being renamed"),
            (Some("provisioning"), "is being made"),
            (None, "was retired"),
        ] {
            let (_, why) = out_of_use(&of(tenant)).unwrap();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn only_what_is_of_its_own_making_is_a_failure() {
        let dirty = Why::Dirty(crate::migration::Version::new(3), None);
        let of = |fault: Option<&str>| Claimed {
            fault: fault.map(str::to_owned),
            ..run(1, 1)
        };
        assert!(is_own_fault(&of(Some("escaped")), &dirty));
        assert!(is_own_fault(&of(Some(DIRTY)), &dirty));
        assert!(!is_own_fault(&of(Some("blocked")), &dirty));
        assert!(!is_own_fault(&of(None), &dirty));
        assert!(!is_own_fault(&of(Some("escaped")), &Why::Gone));
    }
}
