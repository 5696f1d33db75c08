//! The certificates of the AWS that is played here: a chain as long as AWS's, by authorities of our own.
//!
//! An endpoint of AWS sends four certificates, all RSA with 2,048 bits: its own, that of `Amazon RSA 2048 M0x`, that of
//! `Amazon Root CA 1` as Starfield has signed it, and that of Starfield's root as an older root has signed it. A client stops
//! at `Amazon Root CA 1`, which it trusts by itself. (<https://github.com/awsdocs/aws-iot-docs/pull/6> shows such a chain.)

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    RsaKeySize,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;

use crate::Result;

/// The system's own trust roots, where a Debian keeps them.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How many authorities the functions bring along: Amazon Root CA 1 to 4 and Starfield's root.
const AUTHORITIES: usize = 5;

/// The certificates, and the files by which clients trust them.
#[derive(Clone, Debug)]
pub struct Authority {
    /// What the server of AWS's side speaks with.
    pub tls: Arc<ServerConfig>,
    /// The file of authorities for the functions: as many as they bring along for AWS.
    pub roots: PathBuf,
    /// The file for clients that trust what the system trusts: all of its roots, and ours.
    pub system_roots: PathBuf,
    /// The root by itself, for a client in this process.
    pub root: CertificateDer<'static>,
}

/// Somebody who signs certificates.
struct Signer {
    params: CertificateParams,
    key: KeyPair,
}

impl Signer {
    fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { params, key: rsa()? })
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// This signer's certificate as another one signs it.
    fn signed_by(&self, other: &Self) -> Result<CertificateDer<'static>> {
        Ok(self.params.signed_by(&self.key, &other.issuer())?.der().clone())
    }

    fn self_signed(&self) -> Result<Certificate> {
        Ok(self.params.self_signed(&self.key)?)
    }
}

impl Authority {
    /// Makes all certificates anew, and writes the two files into `folder`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        let class_2 = Signer::new("Bench Class 2 Certification Authority")?;
        let starfield = Signer::new("Bench Services Root Certificate Authority - G2")?;
        let amazon = Signer::new("Bench Root CA 1")?;
        let intermediate = Signer::new("Bench RSA 2048 M01")?;
        let key = rsa()?;
        let leaf = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &intermediate.issuer())?;
        let chain = vec![
            leaf.der().clone(),
            intermediate.signed_by(&amazon)?,
            amazon.signed_by(&starfield)?,
            starfield.signed_by(&class_2)?,
        ];
        let root = amazon.self_signed()?;
        let others = (2..AUTHORITIES).map(|number| Signer::new(&format!("Bench Root CA {number}"))?.self_signed());
        let others = others.chain([starfield.self_signed()]).collect::<Result<Vec<_>>>()?;
        let pem: String = [&root].into_iter().chain(&others).map(Certificate::pem).collect();
        let (roots, system_roots) = (folder.join("roots.pem"), folder.join("system-roots.pem"));
        let system = fs::read_to_string(SYSTEM_ROOTS);
        let system =
            system.map_err(|error| format!("{SYSTEM_ROOTS}: {error} (Debian: apt install ca-certificates)"))?;
        fs::write(&roots, &pem)?;
        fs::write(&system_roots, system + &pem)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key.into())?;
        // What EC2 offers.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), roots, system_roots, root: root.der().clone() })
    }
}

fn rsa() -> Result<KeyPair> {
    Ok(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?)
}
