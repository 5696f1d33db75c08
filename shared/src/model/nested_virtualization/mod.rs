//! Which instance types can run virtual machines. CML needs such types, because it runs its nodes as virtual machines.

mod families;

use families::{NAMED, SENTENCE, WITH_FEATURE, WITHOUT_FEATURE};

/// Whether a type can run virtual machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// It can, because no hypervisor of AWS's runs below it.
    Metal,
    /// It can, with the CPU option for nested virtualization.
    OnRequest,
    /// It can with that option by AWS's data of instance types, but the sentence of EC2's API reference names only other
    /// types.
    AsDataSays,
    /// Unknown, because the type's family is not in AWS's data as far as it is known here.
    Unknown,
    /// It cannot.
    Never,
}

/// Whether the type with this name can run virtual machines.
#[must_use]
pub fn nesting(instance_type: &str) -> Nesting {
    let (family, size) = instance_type.split_once('.').unwrap_or((instance_type, ""));
    if size == "metal" || size.starts_with("metal-") {
        Nesting::Metal
    } else if WITHOUT_FEATURE.contains(&family) {
        Nesting::Never
    } else if NAMED.contains(&family) {
        Nesting::OnRequest
    } else if WITH_FEATURE.contains(&family) {
        Nesting::AsDataSays
    } else {
        Nesting::Unknown
    }
}

/// The families that can nest virtual machines if they are asked to, separated by commas.
#[must_use]
pub fn nestable() -> String {
    WITH_FEATURE.join(", ")
}

/// The families that are known not to nest virtual machines.
#[must_use]
pub fn never() -> &'static [&'static str] {
    &WITHOUT_FEATURE
}

/// The warning that a launch of this type needs. `asked` tells whether the launch asks for nested virtualization.
#[must_use]
pub fn warning(instance_type: &str, asked: bool) -> Option<String> {
    let nodes = "CML nodes that are virtual machines will not start";
    match (nesting(instance_type), asked) {
        (Nesting::Metal, _) | (Nesting::OnRequest, true) => None,
        (Nesting::OnRequest | Nesting::AsDataSays, false) => {
            Some(format!("{instance_type} runs nested virtual machines only with cpu.nested_virtualization: {nodes}"))
        }
        (Nesting::AsDataSays, true) => Some(format!(
            "AWS's instance-type data says that {instance_type} can run nested virtual machines, but EC2's API reference \
             names only other types: \"{SENTENCE}\""
        )),
        (Nesting::Unknown, true) => Some(format!(
            "this API does not know whether {instance_type} can run nested virtual machines: EC2 may refuse \
             cpu.nested_virtualization, now or later"
        )),
        (Nesting::Unknown, false) => Some(format!(
            "this API does not know whether {instance_type} can run nested virtual machines, and the launch did not ask for \
             cpu.nested_virtualization: CML nodes that are virtual machines may not start"
        )),
        (Nesting::Never, _) => Some(format!(
            "{instance_type} cannot run nested virtual machines: {nodes}. Choose a metal type, or set \
             cpu.nested_virtualization for a type of one of these families, as far as CML_ALLOWED_INSTANCE_TYPES allows the \
             type: {}",
            nestable()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metal_needs_no_option_and_few_families_have_it() {
        for (name, nests) in [
            ("m5zn.metal", Nesting::Metal),
            ("c8i.metal-48xl", Nesting::Metal),
            ("c99x.metal", Nesting::Metal),
            ("c8i.2xlarge", Nesting::OnRequest),
            ("m8i-flex.large", Nesting::OnRequest),
            ("c7i.2xlarge", Nesting::AsDataSays),
            ("r8id.2xlarge", Nesting::AsDataSays),
            ("c99x.2xlarge", Nesting::Unknown),
            ("c5.2xlarge", Nesting::Never),
            ("c8g.2xlarge", Nesting::Never),
        ] {
            assert_eq!(nesting(name), nests, "{name}");
        }
    }

    #[test]
    fn nested_virtualization_that_may_not_work_is_warned_about() {
        let warned = |name: &str| warning(name, true).unwrap_or_default();
        assert_eq!(warned("c8i.large"), "");
        assert_eq!(warned("m5zn.metal"), "");
        assert!(warned("c7i.large").contains("supported only on 8th generation Intel-based instance types"));
        assert!(warned("c99x.large").contains("this API does not know whether c99x.large can run"));
        let unasked = |name: &str| warning(name, false).unwrap_or_default();
        assert!(unasked("c8i.large").contains("only with cpu.nested_virtualization"));
        assert!(unasked("c7i.large").contains("only with cpu.nested_virtualization"));
        assert!(unasked("c99x.large").contains("may not start"));
        assert!(unasked("c5.large").contains("cannot run nested virtual machines"));
        assert_eq!(unasked("m5zn.metal"), "");
    }
}
