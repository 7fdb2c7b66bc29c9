# What NixOS and home-manager have in common: services.pwmixer.
{ lib, pkgs, ... }:
{
  options.services.pwmixer = {
    enable = lib.mkEnableOption "pwmixer, the audio mixer of the desktop as a D-Bus session service";
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "the package of this flake";
      description = "The package with the service and pwmixerctl.";
    };
    settings = lib.mkOption {
      type = (pkgs.formats.toml { }).type;
      default = { };
      example = {
        volume.max = 1.0;
        osd.enabled = true;
      };
      description = "What is in config.toml, key by key; see pwmixer.toml(5).";
    };
  };
}
