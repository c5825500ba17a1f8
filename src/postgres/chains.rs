//! From waits to chains: who waits behind whom, and who stands at the front of it all. Pure.

use std::collections::BTreeSet;

use super::{Activity, Wait};

/// A session, and those who wait behind it. Each who waits is in one chain only, behind the nearest in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain<'a> {
    /// Who it is.
    pub activity: &'a Activity,
    /// What it waits for itself; none at the front.
    pub wait: Option<&'a Wait>,
    /// Those who wait behind it.
    pub behind: Vec<Chain<'a>>,
}

impl Chain<'_> {
    /// How many wait behind it, at whatever distance.
    pub fn waiting(&self) -> usize {
        let behind = self.behind.iter();
        behind.map(|chain| 1 + chain.waiting()).sum()
    }
}

/// What tells sessions and prepared transactions apart.
type Key<'a> = (Option<i32>, Option<&'a str>);

fn key(activity: &Activity) -> Key<'_> {
    (activity.pid, activity.prepared.as_deref())
}

/// The chains that so many waits make; the longest first. Those who wait in a circle make one, too: PostgreSQL ends that.
pub fn chains(waits: &[Wait]) -> Vec<Chain<'_>> {
    let waiting: BTreeSet<_> = waits.iter().map(|wait| key(&wait.session)).collect();
    let fronts = waits.iter().flat_map(|wait| &wait.blocked_by);
    let mut fronts: Vec<_> = fronts
        .filter(|front| !waiting.contains(&key(front)))
        .collect();
    fronts.sort_by_key(|front| key(front));
    fronts.dedup_by_key(|front| key(front));
    let mut placed = BTreeSet::new();
    let mut chains: Vec<_> = fronts
        .into_iter()
        .map(|front| chain(front, None, waits, &waiting, &mut placed))
        .filter(|chain| !chain.behind.is_empty())
        .collect();
    // A circle has no front, nor has who waits for somebody that has ended meanwhile.
    for wait in waits {
        if placed.insert(key(&wait.session)) {
            let (session, wait) = (&wait.session, Some(wait));
            chains.push(chain(session, wait, waits, &waiting, &mut placed));
        }
    }
    chains.sort_by_key(|chain| std::cmp::Reverse(chain.waiting()));
    chains
}

fn chain<'a>(
    activity: &'a Activity,
    wait: Option<&'a Wait>,
    waits: &'a [Wait],
    waiting: &BTreeSet<Key<'a>>,
    placed: &mut BTreeSet<Key<'a>>,
) -> Chain<'a> {
    let own = key(activity);
    let mut behind = Vec::new();
    for next in waits {
        let is_next = nearest(next, waiting) == Some(own);
        if is_next && placed.insert(key(&next.session)) {
            behind.push(chain(&next.session, Some(next), waits, waiting, placed));
        }
    }
    Chain {
        activity,
        wait,
        behind,
    }
}

/// Of those in its way, one who waits itself: the others stand before that one as well.
fn nearest<'a>(wait: &'a Wait, waiting: &BTreeSet<Key<'a>>) -> Option<Key<'a>> {
    let blockers = || wait.blocked_by.iter().map(key);
    let nearest = blockers().find(|blocker| waiting.contains(blocker));
    nearest.or_else(|| blockers().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(pid: i32, blocked_by: &[i32]) -> Wait {
        let activity = |pid: i32| Activity {
            pid: Some(pid),
            ..Activity::default()
        };
        Wait {
            session: activity(pid),
            mode: "AccessShareLock".to_owned(),
            on: "acme.users".to_owned(),
            schema: None,
            waited_ms: None,
            blocked_by: blocked_by.iter().copied().map(activity).collect(),
        }
    }

    fn drawn(chains: &[Chain<'_>]) -> String {
        let pid = |chain: &Chain<'_>| chain.activity.pid.unwrap();
        let drawn = chains.iter().map(|chain| match &chain.behind[..] {
            [] => pid(chain).to_string(),
            behind => format!("{}({})", pid(chain), drawn(behind)),
        });
        drawn.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_waits_stands_behind_the_nearest_in_its_way() {
        // 1 holds; 2 wants all of it; 3 and 4 came later; 5 is in the way of somebody else.
        let waits = [
            wait(6, &[5]),
            wait(2, &[1]),
            wait(3, &[2]),
            wait(4, &[1, 2]),
        ];
        let chains = chains(&waits);
        assert_eq!(drawn(&chains), "1(2(3 4)) 5(6)");
        assert_eq!(chains[0].waiting(), 3);
        assert!(chains[0].wait.is_none() && chains[0].behind[0].wait.is_some());
    }

    #[test]
    fn nobody_is_lost_in_a_circle_or_behind_somebody_who_has_ended() {
        let waits = [wait(1, &[2]), wait(2, &[1]), wait(3, &[])];
        assert_eq!(drawn(&chains(&waits)), "1(2) 3");
        assert_eq!(chains(&[]), []);
    }
}
