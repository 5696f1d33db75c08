//! Which families nest virtual machines, by AWS's own words. `make tables` writes this file; a test compares it with them.

/// EC2's service model, of `CpuOptionsRequest$NestedVirtualization`.
pub(super) const SENTENCE: &str = "Nested virtualization is supported only on 8th generation Intel-based instance types (c8i, m8i, r8i, and their flex variants).";

/// Families that the sentence names.
#[rustfmt::skip]
pub(super) const NAMED: [&str; 6] = [
    "c8i", "c8i-flex", "m8i", "m8i-flex", "r8i", "r8i-flex",
];

/// Families whose virtual types have the feature `nested-virtualization`.
#[rustfmt::skip]
pub(super) const WITH_FEATURE: [&str; 18] = [
    "c7i", "c7i-flex", "c8i", "c8i-flex", "c8id", "i7i", "i7ie", "m7i", "m7i-flex", "m8i", "m8i-flex", "m8id",
    "r7i", "r7iz", "r8i", "r8i-flex", "r8id", "x8i",
];

/// All other families that have virtual types.
#[rustfmt::skip]
pub(super) const WITHOUT_FEATURE: [&str; 162] = [
    "a1", "c1", "c3", "c4", "c5", "c5a", "c5ad", "c5d", "c5n", "c6a", "c6g", "c6gd",
    "c6gn", "c6i", "c6id", "c6in", "c7a", "c7g", "c7gd", "c7gn", "c8a", "c8g", "c8gb", "c8gd",
    "c8gn", "c8ib", "c8in", "c8ine", "c9g", "c9gd", "d2", "d3", "d3en", "dl2q", "f2", "g4dn",
    "g5", "g5g", "g6", "g6e", "g6f", "g7", "g7e", "gr6", "gr6f", "h1", "hpc6a", "hpc6id",
    "hpc7a", "hpc7g", "hpc8a", "i2", "i3", "i3en", "i4g", "i4i", "i8g", "i8ge", "im4gn", "inf1",
    "inf2", "is4gen", "m1", "m2", "m3", "m4", "m5", "m5a", "m5ad", "m5d", "m5dn", "m5n",
    "m5zn", "m6a", "m6g", "m6gd", "m6i", "m6id", "m6idn", "m6in", "m7a", "m7g", "m7gd", "m8a",
    "m8azn", "m8g", "m8gb", "m8gd", "m8gn", "m8ib", "m8idb", "m8idn", "m8in", "m8ine", "m9g", "m9gd",
    "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300", "r3", "r4", "r5", "r5a",
    "r5ad", "r5b", "r5d", "r5dn", "r5n", "r6a", "r6g", "r6gd", "r6i", "r6id", "r6idn", "r6in",
    "r7a", "r7g", "r7gd", "r8a", "r8g", "r8gb", "r8gd", "r8gn", "r8ib", "r8idb", "r8idn", "r8in",
    "r9g", "r9gd", "t1", "t2", "t3", "t3a", "t4g", "t8i", "trn1", "trn1n", "trn2", "trn2u",
    "u-3tb1", "u-6tb1", "u7i-12tb", "u7i-6tb", "u7i-8tb", "u7in-16tb", "u7in-24tb", "u7in-32tb", "vt1", "x1", "x1e", "x2gd",
    "x2idn", "x2iedn", "x2iezn", "x8aedz", "x8g", "z1d",
];
