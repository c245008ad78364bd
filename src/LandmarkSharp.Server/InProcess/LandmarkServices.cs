using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;

namespace LandmarkSharp.Server.InProcess;

/// <summary>Landmark models among an application's services.</summary>
public static class LandmarkServices
{
    /// <summary>
    /// Adds a model: its <see cref="LandmarkEngine"/>, loaded when it is first asked for, and an <see cref="IChatClient"/> over it. A host looks at the
    /// folder and the options when it starts, and says what is wrong with them in an <see cref="OptionsValidationException"/>.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="folder">The model's folder, in Hugging Face's layout.</param>
    /// <param name="options">Device, type and retrieval.</param>
    public static IServiceCollection AddLandmark(this IServiceCollection services, string folder, EngineOptions? options = null)
    {
        services.AddOptionsWithValidateOnStart<ServedFolder, ServedFolderValidator>().Configure(served => (served.Folder, served.Options) = (folder, options));
        return services
            .AddSingleton(_ => LandmarkEngine.Load(folder, options))
            .AddSingleton<IChatClient>(all => new LandmarkChatClient(
                all.GetRequiredService<LandmarkEngine>(), Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))),
                ChatTemplates.Of(folder), all.GetService<ILoggerFactory>()));
    }
}

/// <summary>A model that an application is to serve.</summary>
internal sealed class ServedFolder
{
    /// <summary>Its folder.</summary>
    public string Folder { get; set; } = "";

    /// <summary>How it is to be loaded.</summary>
    public EngineOptions? Options { get; set; }
}

/// <summary>Looks at all but the weights.</summary>
internal sealed class ServedFolderValidator : IValidateOptions<ServedFolder>
{
    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, ServedFolder options)
    {
        try
        {
            LandmarkEngine.Check(options.Folder, options.Options);
            return ValidateOptionsResult.Success;
        }
        catch (LandmarkException e)
        {
            return ValidateOptionsResult.Fail(e.Message);
        }
    }
}
