//! An instance as DescribeInstances writes it. It has most elements of AWS's example of that call, and 1,000 of them are the
//! 2.07 MB of XML that a page of this project's workers is reckoned with.

use std::fmt::Write;

/// The instance of every event.
pub const ID: &str = "i-98dff7e4c6428da80";

/// The XML of one instance in this state, launched at this time. Those of a page are told apart by their number; number 0 has [`ID`].
#[must_use]
pub fn instance(number: usize, state: &str, launch_time: &str) -> String {
    let id = if number == 0 { ID.to_owned() } else { format!("i-{number:017x}") };
    let (code, address) = (code(state), format!("10.0.{}.{}", number / 250, number % 250 + 4));
    let mut xml = format!(
        "<item><instanceId>{id}</instanceId><imageId>ami-0123456789abcdef0</imageId><instanceState><code>{code}</code>\
         <name>{state}</name></instanceState><dnsName/><reason/>\
         <keyName>cml-workers</keyName><amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>c5.2xlarge</instanceType>\
         <launchTime>{launch_time}</launchTime><placement><availabilityZone>us-east-1a</availabilityZone>\
         <groupName/><tenancy>default</tenancy></placement><monitoring><state>enabled</state></monitoring>\
         <subnetId>subnet-0a1b2c3d4e5f67890</subnetId><vpcId>vpc-0a1b2c3d4e5f67890</vpcId>\
         <privateIpAddress>{address}</privateIpAddress><sourceDestCheck>true</sourceDestCheck>{GROUPS}\
         <architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/sda1</rootDeviceName>\
         <blockDeviceMapping><item><deviceName>/dev/sda1</deviceName><ebs><volumeId>vol-{number:017x}</volumeId>\
         <status>attached</status><deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping>\
         <virtualizationType>hvm</virtualizationType><clientToken/>{TAGS}<hypervisor>xen</hypervisor>"
    );
    // Writing to a string cannot fail.
    let _ = write!(
        xml,
        "<networkInterfaceSet><item><networkInterfaceId>eni-{number:017x}</networkInterfaceId>\
         <subnetId>subnet-0a1b2c3d4e5f67890</subnetId><vpcId>vpc-0a1b2c3d4e5f67890</vpcId><description/>\
         <ownerId>123456789012</ownerId><status>in-use</status><privateIpAddress>{address}</privateIpAddress>\
         <attachment><attachmentId>eni-attach-{number:017x}</attachmentId><deviceIndex>0</deviceIndex>\
         <status>attached</status><deleteOnTermination>true</deleteOnTermination></attachment></item></networkInterfaceSet>\
         <ebsOptimized>true</ebsOptimized><metadataOptions><state>applied</state><httpTokens>required</httpTokens>\
         </metadataOptions></item>"
    );
    xml
}

const GROUPS: &str =
    "<groupSet><item><groupId>sg-0a1b2c3d4e5f67890</groupId><groupName>cml</groupName></item></groupSet>";

const TAGS: &str = "<tagSet><item><key>Name</key><value>cml-worker</value></item>\
                    <item><key>ManagedBy</key><value>cml-cloud-manager</value></item></tagSet>";

/// The number of a state, as the EC2 API reference lists them.
fn code(state: &str) -> u8 {
    match state {
        "pending" => 0,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        "stopped" => 80,
        _ => 16,
    }
}
