{
  lib,
  python3Packages,
  libpulseaudio,
  coreutils,
  util-linux,
}:
let
  said = builtins.readFile ../../pwmixer_dbus/__init__.py;
in
python3Packages.buildPythonApplication {
  pname = "pwmixer-dbus";
  version = builtins.head (builtins.match ".*__version__ = \"([^\"]+)\".*" said);
  pyproject = true;
  src = ../..;
  build-system = [ python3Packages.hatchling ];
  dependencies = with python3Packages; [
    dbus-fast
    platformdirs
    pulsectl
    pulsectl-asyncio
    pydantic
  ];
  # It is loaded by its name.
  makeWrapperArgs = [
    "--prefix"
    "LD_LIBRARY_PATH"
    ":"
    (lib.makeLibraryPath [ libpulseaudio ])
  ];
  postInstall = ''
    python scripts/place.py "$out" --prefix=/ --program="$out/bin/pwmixer-dbus"
    substituteInPlace "$out/lib/systemd/user/pwmixer-dbus.service" \
      --replace-fail /bin/mkdir ${coreutils}/bin/mkdir \
      --replace-fail /bin/kill ${util-linux}/bin/kill
  '';
  pythonImportsCheck = [ "pwmixer_dbus.cli" ];
  meta = {
    description = "The audio mixer of the desktop as a D-Bus session service";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "pwmixerctl";
  };
}
