//! Which instance types run virtual machines: CML runs its nodes as such.

/// What a type can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// It has no hypervisor of AWS's below it.
    Metal,
    /// With the CPU option nested virtualization.
    OnRequest,
    /// Not at all.
    Never,
}

/// The 8th-generation Intel families, the only virtual ones with the option.
const ON_REQUEST: [&str; 6] = ["c8i", "c8i-flex", "m8i", "m8i-flex", "r8i", "r8i-flex"];

/// They, in words.
pub const NESTABLE: &str = "c8i, m8i, r8i and their flex types";

/// What a type can do, by its name.
#[must_use]
pub fn nesting(instance_type: &str) -> Nesting {
    match instance_type.split_once('.') {
        Some((_, size)) if size == "metal" || size.starts_with("metal-") => Nesting::Metal,
        Some((family, _)) if ON_REQUEST.contains(&family) => Nesting::OnRequest,
        _ => Nesting::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metal_needs_no_option_and_few_families_have_it() {
        assert_eq!(nesting("m5zn.metal"), Nesting::Metal);
        assert_eq!(nesting("c8i.metal-48xl"), Nesting::Metal);
        assert_eq!(nesting("c8i.2xlarge"), Nesting::OnRequest);
        assert_eq!(nesting("m8i-flex.large"), Nesting::OnRequest);
        assert_eq!(nesting("c5.2xlarge"), Nesting::Never);
        assert_eq!(nesting("c8g.2xlarge"), Nesting::Never);
    }
}
