//! Randomness from the operating system.

use std::{
    fs::File,
    io::{self, Read},
};

/// 32 hexadecimal digits nobody can guess: passwords, and names that never meet.
pub(super) fn random_hex() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_the_same() {
        let (one, other) = (random_hex().unwrap(), random_hex().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
    }
}
