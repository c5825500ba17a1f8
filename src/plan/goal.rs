//! Where a schema should go.

use crate::migration::{Direction, Version};

/// Where a schema should go from where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Everything the files have.
    Latest,
    /// Upwards to this version, and no further; nothing is taken back.
    UpTo(Version),
    /// Upwards by so many migrations.
    Up(usize),
    /// Back until this version is the highest one; the version itself stays.
    DownTo(Version),
    /// Back by so many migrations.
    Down(usize),
    /// Back until nothing is applied.
    Empty,
    /// To this version, whichever way it lies.
    Goto(Version),
    /// The last migration back and up again, with the text that its file has now.
    Redo,
}

impl Goal {
    /// The way to this goal from `head`; [`Goal::Redo`] goes both ways and counts as back.
    pub fn direction(self, head: Option<Version>) -> Direction {
        match self {
            Self::Latest | Self::UpTo(_) | Self::Up(_) => Direction::Up,
            Self::DownTo(_) | Self::Down(_) | Self::Empty | Self::Redo => Direction::Down,
            Self::Goto(version) if head.is_some_and(|head| head > version) => Direction::Down,
            Self::Goto(_) => Direction::Up,
        }
    }
}
