using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection.Repositories;

namespace LandmarkSharp.Server.Page;

/// <summary>The keys that protect what a page holds of the server: worth nothing after its end, so they are kept nowhere.</summary>
internal sealed class PageKeys : IXmlRepository
{
    private readonly List<XElement> keys = [];

    /// <inheritdoc/>
    public IReadOnlyCollection<XElement> GetAllElements()
    {
        lock (keys) return [.. keys];
    }

    /// <inheritdoc/>
    public void StoreElement(XElement element, string friendlyName)
    {
        lock (keys) keys.Add(element);
    }
}
