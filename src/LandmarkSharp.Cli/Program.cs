using System.Runtime.InteropServices;
using LandmarkSharp.Cli;

// SIGXFSZ: the write of a file that may not be so large fails, as one on a full disk does, and says of what file.
using var tooLarge = OperatingSystem.IsWindows() ? null : PosixSignalRegistration.Create((PosixSignal)25, signal => signal.Cancel = true);
var code = await Tool.RunAsync(args);
if (code is Tool.Cancelled or Tool.Terminated) ProcessEnd.Now(code);
return code;
