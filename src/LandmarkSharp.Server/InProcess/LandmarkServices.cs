using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;
using Microsoft.Extensions.AI;

namespace LandmarkSharp.Server.InProcess;

/// <summary>Landmark models among an application's services.</summary>
public static class LandmarkServices
{
    /// <summary>
    /// Adds a model: its <see cref="LandmarkEngine"/>, loaded when it is first asked for, and an <see cref="IChatClient"/> over it.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="folder">The model's folder, in Hugging Face's layout.</param>
    /// <param name="options">Device, type and retrieval.</param>
    public static IServiceCollection AddLandmark(this IServiceCollection services, string folder, EngineOptions? options = null) => services
        .AddSingleton(_ => LandmarkEngine.Load(folder, options))
        .AddSingleton<IChatClient>(all => new LandmarkChatClient(
            all.GetRequiredService<LandmarkEngine>(), Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))),
            ChatTemplates.Of(folder), all.GetService<ILoggerFactory>()));
}
