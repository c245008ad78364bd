using LandmarkSharp.Cli;

var code = await Tool.RunAsync(args);
if (code is Tool.Cancelled or Tool.Terminated) ProcessEnd.Now(code);
return code;
