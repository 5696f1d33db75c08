#!/bin/sh
# The cargo that `cargo lambda watch` calls, by way of the variable CARGO.
#
# To start a function, it calls `cargo run --bin <operation>`. That takes the features of the workspace's default members, and
# `cargo build --workspace` takes those of all members: aws-sdk-ec2 would be compiled a second time, for 7 minutes.
# Here the function is built with the features of all members, and then run.
unset CARGO
[ "$1" = run ] || exec cargo "$@"
shift
cargo build --workspace "$@" || exit
while [ "$1" != --bin ]; do
    shift
done
exec "${CARGO_TARGET_DIR:-target}/debug/$2"
