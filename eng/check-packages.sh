#!/usr/bin/env bash
# Packs what is published, and uses it as its users do, outside of this tree: programs with the library and the server, and the tool.
# A line for each check; the exit code is 1 if one fails. Only packages made here are new: others come from the folder of packages.
# usage: eng/check-packages.sh
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=PASSIVE DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1
DOTNET_ROOT=$(dirname "$(readlink -f "$(command -v dotnet)")")
export DOTNET_ROOT
# No version that is ever published: nobody else's package can come in the place of these.
version=$(dotnet msbuild src/LandmarkSharp -getProperty:Version)-check
checks=0 failed=0
check() { # name, what must be in the output or nothing, command
  local name=$1 expected=$2 log=$work/log
  shift 2
  checks=$((checks + 1))
  if "$@" > "$log" 2>&1 && { [ -z "$expected" ] || grep -qF -- "$expected" "$log"; }; then
    echo "ok      $name"
  else
    failed=$((failed + 1))
    echo "FAILED  $name${expected:+: no $expected}, by: $*"
    tail -n 40 "$log"
  fi
}
end() {
  echo "$((checks - failed)) of $checks checks of packages passed"
  exit $((failed > 0))
}

pack() {
  for project in LandmarkSharp LandmarkSharp.Model LandmarkSharp.Server LandmarkSharp.Cli; do
    dotnet pack "src/$project" -c Release -o "$work/packages" -p:PackageVersion="$version" || return 1
  done
}
check "packages are made" "LandmarkSharp.Cli.$version.nupkg" pack
[ $failed -eq 0 ] || end
# The registry of .NET's packages takes 250 MB.
check "no package is larger than 250 MB" "" test -z "$(find "$work/packages" -size +250M)"
check "the library and the server have symbols" "" test -s "$work/packages/LandmarkSharp.$version.snupkg" -a -s "$work/packages/LandmarkSharp.Server.$version.snupkg"

cache=$(dotnet nuget locals global-packages --list)
cat > "$work/nuget.config" <<XML
<configuration>
  <packageSources><add key="packages" value="packages" /></packageSources>
  <fallbackPackageFolders><add key="cache" value="${cache#*: }" /></fallbackPackageFolders>
</configuration>
XML
export NUGET_PACKAGES=$work/cache
cd "$work"
user() { # program, packages: a new project that has them
  local program=$1 package
  mkdir "$program"
  cp "$root/eng/packages/$program.cs" "$program/Program.cs"
  { echo '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework>'
    echo '<ImplicitUsings>enable</ImplicitUsings><Nullable>enable</Nullable><TreatWarningsAsErrors>true</TreatWarningsAsErrors></PropertyGroup><ItemGroup>'
    for package in "${@:2}"; do echo "<PackageReference Include=\"$package\" Version=\"$version\" />"; done
    echo '</ItemGroup></Project>'; } > "$program/$program.csproj"
}
user library LandmarkSharp LandmarkSharp.Model
check "a program with the library finds a key" "48216" dotnet run -c Release --project library
user server LandmarkSharp.Server LandmarkSharp.Model
check "a program with the server answers" "48216" dotnet run -c Release --project server
check "the library has documentation" "" test -s "$NUGET_PACKAGES/landmarksharp/$version/lib/net10.0/LandmarkSharp.xml"
same() { cmp "$1/bin/Release/net10.0/TorchSharp.dll" "$root/src/LandmarkSharp.Cli/bin/Release/net10.0/TorchSharp.dll"; }
check "both fit TorchSharp to themselves" "" eval "same library && same server"

check "the tool installs" "$version" dotnet tool install LandmarkSharp.Cli --version "$version" --tool-path tools --configfile nuget.config
named() { # every package that the tool carries, by the list of its dependencies, is in its notices; natives of other systems are not carried
  local place name missing=0
  place=$(dirname "$(find tools/.store -name landmark.deps.json)")
  for name in $(sed -nE 's|^ {4}"([^/"]+)/.*|\1|p' "$place/landmark.deps.json" | grep -vE '^(\.NETCoreApp|landmark|LandmarkSharp)|^SkiaSharp\.NativeAssets'); do
    grep -qE "^$name " "$place/THIRD-PARTY-NOTICES.txt" || { echo "not named: $name"; missing=1; }
  done
  test -s "$place/LICENSE-LIBTORCH.txt" -a -s "$place/LICENSE-APACHE.txt" && return $missing
}
check "the tool names whose works it carries" "" named
check "the tool finds a pass key" "1 of 1 right" tools/landmark passkey --tokens 1024
end
