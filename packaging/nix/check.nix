# Evaluates all of it with a stand-in for nixpkgs, so without a network and without building anything:
#   nix-instantiate --eval --strict --json packaging/nix/check.nix
# An assertion that fails is an error; else what comes out is the version.
let
  lib = {
    genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
    licenses.mit = "MIT";
    literalExpression = text: text;
    makeLibraryPath = packages: builtins.concatStringsSep ":" (map (package: "${package}/lib") packages);
    mkEnableOption = _: { default = false; };
    mkIf = condition: content: if condition then content else { };
    mkOption = option: option;
    platforms.linux = [ ];
    types.package = "package";
  };
  pkgs = {
    inherit lib;
    coreutils = "/coreutils";
    libpulseaudio = "/libpulseaudio";
    util-linux = "/util-linux";
    python3Packages = {
      buildPythonApplication = made: made // { outPath = "/${made.pname}"; };
      dbus-fast = "dbus-fast";
      hatchling = "hatchling";
      platformdirs = "platformdirs";
      pulsectl = "pulsectl";
      pulsectl-asyncio = "pulsectl-asyncio";
      pydantic = "pydantic";
    };
    callPackage =
      file: more:
      let
        make = import file;
      in
      make (builtins.intersectAttrs (builtins.functionArgs make) pkgs // more);
    # A file that is named by what is in it.
    formats.toml = _: {
      type = "TOML";
      generate = _: value: "/file:${builtins.toJSON value}";
    };
  };
  flake = (import ./flake.nix).outputs {
    nixpkgs = {
      inherit lib;
      legacyPackages.x86_64-linux = pkgs;
      legacyPackages.aarch64-linux = pkgs;
    };
  };
  options = (import ./options.nix { inherit lib pkgs; }).options.services.pwmixer;
  defaults = builtins.mapAttrs (_: option: option.default) options;
  # What a module makes of settings of services.pwmixer.
  made =
    module: chosen:
    (import module {
      inherit lib pkgs;
      config.services.pwmixer = defaults // chosen;
    }).config;
  package = flake.packages.x86_64-linux.default;
  settings.volume.max = 0.8;
  nixos = flake.nixosModules.default;
  home = flake.homeManagerModules.default;
  system = made nixos { enable = true; };
  chosen = made nixos {
    enable = true;
    inherit settings;
  };
  person = made home {
    enable = true;
    inherit settings;
  };
in
assert made nixos { } == { } && made home { } == { };
assert builtins.map toString system.systemd.packages == [ "/pwmixer-dbus" ];
assert builtins.map toString system.services.dbus.packages == [ "/pwmixer-dbus" ];
assert system.systemd.user.services.pwmixer-dbus.wantedBy == [ "default.target" ];
assert system.systemd.user.services.pwmixer-dbus.serviceConfig == { };
assert
  chosen.systemd.user.services.pwmixer-dbus.serviceConfig.ExecStart == [
    ""
    "/pwmixer-dbus/bin/pwmixer-dbus --config %h/.config/pwmixer/system.toml"
  ];
assert
  chosen.systemd.user.tmpfiles.rules
  == [ "L+ %h/.config/pwmixer/system.toml - - - - /file:{\"volume\":{\"max\":0.8}}" ];
assert person.xdg.configFile."pwmixer/config.toml".source == "/file:{\"volume\":{\"max\":0.8}}";
assert (made home { enable = true; }).xdg.configFile."pwmixer/config.toml" == { };
assert
  person.xdg.dataFile."systemd/user/pwmixer-dbus.socket".source
  == "/pwmixer-dbus/lib/systemd/user/pwmixer-dbus.socket";
assert builtins.length package.dependencies == 5;
package.version
