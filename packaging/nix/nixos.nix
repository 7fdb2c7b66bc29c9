# For everybody on a machine. Where there are settings, they take the place of each person's config.toml, by a link beside
# it: rules.toml, which the service writes, is looked for beside the file of settings.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.pwmixer;
  link = "%h/.config/pwmixer/system.toml";
  file = (pkgs.formats.toml { }).generate "pwmixer-config.toml" cfg.settings;
in
{
  imports = [ ./options.nix ];
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    services.dbus.packages = [ cfg.package ];
    systemd.packages = [ cfg.package ];
    systemd.user.tmpfiles.rules = lib.mkIf (cfg.settings != { }) [ "L+ ${link} - - - - ${file}" ];
    systemd.user.services.pwmixer-dbus = {
      wantedBy = [ "default.target" ];
      # The empty one takes the package's own back.
      serviceConfig = lib.mkIf (cfg.settings != { }) {
        ExecStart = [
          ""
          "${cfg.package}/bin/pwmixer-dbus --config ${link}"
        ];
      };
    };
    systemd.user.sockets.pwmixer-dbus.wantedBy = [ "sockets.target" ];
  };
}
