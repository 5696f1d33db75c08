//! The functions' processes, which MiniStack starts and ends.

use std::fs;

/// The processes of the function of this name in the stack whose functions reach EC2 here, oldest first. They are known by
/// their environment: names of binaries are the same in every stack.
pub fn pids_of(function: &str, ec2_endpoint: &str) -> Vec<u32> {
    let marks = [format!("AWS_LAMBDA_FUNCTION_NAME={function}"), format!("AWS_ENDPOINT_URL_EC2={ec2_endpoint}")];
    let is_marked = |pid: &u32| {
        // A process that ended meanwhile, or one of somebody else's, has no environment to read.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        marks.iter().all(|mark| environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_marked).collect();
    pids.sort_unstable();
    pids
}
