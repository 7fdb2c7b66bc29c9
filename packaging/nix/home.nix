# For one person, by home-manager. Where there are settings, they are config.toml.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.pwmixer;
  file = (pkgs.formats.toml { }).generate "pwmixer-config.toml" cfg.settings;
  units = "${cfg.package}/lib/systemd/user";
in
{
  imports = [ ./options.nix ];
  config = lib.mkIf cfg.enable {
    home.packages = [ cfg.package ];
    xdg.dataFile = {
      "dbus-1/services/org.pwmixer.Mixer.service".source =
        "${cfg.package}/share/dbus-1/services/org.pwmixer.Mixer.service";
      "systemd/user/pwmixer-dbus.service".source = "${units}/pwmixer-dbus.service";
      "systemd/user/pwmixer-dbus.socket".source = "${units}/pwmixer-dbus.socket";
    };
    xdg.configFile = {
      "systemd/user/default.target.wants/pwmixer-dbus.service".source = "${units}/pwmixer-dbus.service";
      "systemd/user/sockets.target.wants/pwmixer-dbus.socket".source = "${units}/pwmixer-dbus.socket";
      "pwmixer/config.toml" = lib.mkIf (cfg.settings != { }) { source = file; };
    };
  };
}
