using Microsoft.JSInterop;

namespace LandmarkSharp.Server.Page;

/// <summary>The page's script in the browser.</summary>
/// <param name="js">The browser.</param>
internal sealed class PageScript(IJSRuntime js) : IAsyncDisposable
{
    private readonly Lazy<Task<IJSObjectReference>> module = new(() => js.InvokeAsync<IJSObjectReference>("import", PageAssets.Url("page.js")).AsTask());

    /// <summary>Calls one of its functions; a browser that is gone is none to call.</summary>
    public async Task Call(string function, params object?[] arguments)
    {
        try
        {
            await (await module.Value).InvokeVoidAsync(function, arguments);
        }
        catch (JSDisconnectedException)
        {
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!module.IsValueCreated) return;
        try
        {
            await (await module.Value).DisposeAsync();
        }
        catch (Exception e) when (e is JSDisconnectedException or OperationCanceledException)
        {
            // The page is closed, and its script with it.
        }
    }
}
