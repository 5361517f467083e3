################################################################################
#
# c2c-authd
#
################################################################################

# By default the commit that is checked out. By git and not "local", because
# only what is downloaded gets its crates vendored.
C2C_AUTHD_VERSION = $(or \
	$(call qstrip,$(BR2_PACKAGE_C2C_AUTHD_REVISION)), \
	$(shell git -C $(BR2_EXTERNAL_C2C_AUTHD_PATH) rev-parse HEAD))
C2C_AUTHD_SITE = $(call qstrip,$(BR2_PACKAGE_C2C_AUTHD_REPOSITORY))
C2C_AUTHD_SITE_METHOD = git
C2C_AUTHD_LICENSE = MIT or Apache-2.0
C2C_AUTHD_LICENSE_FILES = LICENSE-MIT LICENSE-APACHE

# A commit that its user chooses: git's own hash stands for it.
BR_NO_CHECK_HASH_FOR += $(C2C_AUTHD_SOURCE)

# The package's own profile. Buildroot's would make the binaries larger by half.
C2C_AUTHD_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL="z" \
	CARGO_PROFILE_RELEASE_LTO="fat" \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS="1"

# The other member of the workspace is the world for tests.
C2C_AUTHD_CARGO_BUILD_OPTS = --package c2c-authd --bins

ifeq ($(BR2_PACKAGE_C2C_AUTHD_WEBPKI_ROOTS),y)
C2C_AUTHD_CARGO_BUILD_OPTS += --features webpki-roots
C2C_AUTHD_CARGO_INSTALL_OPTS += --features webpki-roots
endif

define C2C_AUTHD_INSTALL_FILES
	CONFIG=replace DOCS=no $(@D)/packaging/install $(TARGET_DIR)
endef
C2C_AUTHD_POST_INSTALL_TARGET_HOOKS += C2C_AUTHD_INSTALL_FILES

define C2C_AUTHD_USERS
	c2c-authd -1 c2c-authd -1 * - - - Camera to Cloud authorization
	- -1 c2c-ui -1 - - - -
	- -1 c2c-uploader -1 - - - -
endef

$(eval $(cargo-package))
