using LandmarkSharp.Cli;

return await Tool.RunAsync(args);
