//! The header with which a caller marks a request that he may send again.

use crate::input::checked_string;

checked_string! {
    /// The header `Idempotency-Key`.
    IdempotencyKey,
    schema(pattern = r"^[!-~]{1,64}$"),
    |key| if (1..=64).contains(&key.len()) && key.bytes().all(|b| (b'!'..=b'~').contains(&b)) { Ok(()) } else {
        Err("must have 1 to 64 printable ASCII characters without spaces")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_printable_and_short() {
        for (key, good) in
            [("a", true), (&"x".repeat(64), true), (&"x".repeat(65), false), ("", false), ("a b", false), ("ü", false)]
        {
            assert_eq!(IdempotencyKey::try_from(key.to_owned()).is_ok(), good, "{key}");
        }
    }
}
