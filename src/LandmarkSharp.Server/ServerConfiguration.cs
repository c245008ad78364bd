namespace LandmarkSharp.Server;

/// <summary>
/// A server's options from where people keep such: <c>appsettings.json</c> of the folder at hand, the environment, the command line, the
/// later before the earlier.
/// </summary>
public static class ServerConfiguration
{
    private const string Section = "Server", Variables = "LANDMARK_", None = "none";

    /// <summary>Reads and checks them.</summary>
    /// <param name="given">Options by name that come before all others.</param>
    /// <param name="folder">The folder of <c>appsettings.json</c>.</param>
    /// <param name="keys">The key file where none is named and this one is there.</param>
    /// <param name="memories">The folder of memories where none is named; whoever names "none" has none.</param>
    /// <exception cref="LandmarkException">One is not known, of another kind, or out of range; the message says which.</exception>
    public static ServerOptions Read(IReadOnlyDictionary<string, string?> given, string folder, string? keys = null, string? memories = null)
    {
        try
        {
            var configuration = new ConfigurationBuilder().SetBasePath(folder).AddJsonFile("appsettings.json", optional: true)
                .AddEnvironmentVariables(Variables)
                .AddInMemoryCollection(given.Select(g => KeyValuePair.Create($"{Section}:{g.Key}", g.Value))).Build();
            var options = new ServerOptions();
            configuration.GetSection(Section).Bind(options, binder => binder.ErrorOnUnknownConfiguration = true);
            if (File.Exists(keys)) options.Keys ??= keys;
            options.Memories = (options.Memories ?? memories) is { } named && named != None ? named : null;
            return options.Checked();
        }
        catch (InvalidOperationException e)
        {
            throw new LandmarkException(
                $"The server's options in appsettings.json or {Variables}{Section.ToUpperInvariant()}__… cannot be read: "
                + $"{e.Message.ReplaceLineEndings(" ").TrimEnd('.').Replace(". ", ", ", StringComparison.Ordinal)}; see 'landmark serve --help'.", e);
        }
        catch (InvalidDataException e)
        {
            throw new LandmarkException("The file appsettings.json is no JSON that can be read; correct it.", e);
        }
    }
}
