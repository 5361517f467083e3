SUMMARY = "Camera to Cloud authorization for camera-side boards"
DESCRIPTION = "Pairs a camera with Frame.io Camera to Cloud, keeps its tokens sealed, hands them out over D-Bus."
HOMEPAGE = "https://developer.frame.io/docs/device-integrations/introduction"
SECTION = "net"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "\
    file://LICENSE-APACHE;md5=8bc026e497ea7120fc58d3b4c4512df7 \
    file://LICENSE-MIT;md5=be15199e2fc6440e8c1bf9e986de6f8e \
"
CVE_PRODUCT = "c2c-authd"

# Where your copy of the repository is: set both in your distribution or in local.conf.
C2C_AUTHD_GIT ?= "git://git.example.org/c2c-authd.git;protocol=https;branch=main"
C2C_AUTHD_REV ?= "${AUTOREV}"
SRC_URI = "${C2C_AUTHD_GIT}"
SRCREV = "${C2C_AUTHD_REV}"

require ${BPN}-crates.inc

inherit cargo cargo-update-recipe-crates features_check systemd useradd

# The bus is the daemon's door, systemd brings its credentials, directories and sandbox.
REQUIRED_DISTRO_FEATURES = "systemd"

# Mozilla's roots compiled in, for images without ca-certificates.
PACKAGECONFIG ??= ""
PACKAGECONFIG[webpki-roots] = "--features webpki-roots"

# Only the package itself: its test world (testkit/) is a member of the same workspace and belongs in no image.
CARGO_BUILD_FLAGS:append = " --package c2c-authd --bins"
# Stripping is OE's, which keeps the symbols for ${PN}-dbg.
export CARGO_PROFILE_RELEASE_STRIP = "none"

do_install:append() {
    ${S}/packaging/install ${D}
}

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system c2c-ui; --system c2c-uploader"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir / --shell ${base_sbindir}/nologin c2c-authd"

SYSTEMD_SERVICE:${PN} = "c2c-authd.service"

FILES:${PN} += "\
    ${nonarch_libdir}/c2c-authd \
    ${nonarch_libdir}/sysusers.d \
    ${nonarch_libdir}/systemd \
    ${nonarch_libdir}/tmpfiles.d \
    ${datadir}/bash-completion \
    ${datadir}/dbus-1 \
    ${datadir}/fish \
    ${datadir}/zsh \
"
CONFFILES:${PN} = "${sysconfdir}/c2c-authd/config.toml"

RDEPENDS:${PN} = "\
    ${@bb.utils.contains('PACKAGECONFIG', 'webpki-roots', '', 'ca-certificates', d)} \
    dbus \
"
