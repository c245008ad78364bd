using System.ComponentModel.DataAnnotations;
using System.Net;

namespace LandmarkSharp.Server;

/// <summary>An address that only this machine reaches: without keys, whoever reaches a server can use it.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class LoopbackAttribute : ValidationAttribute
{
    /// <summary>The address of a name.</summary>
    public static IPAddress? Address(string? name) =>
        name == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(name, out var address) && IPAddress.IsLoopback(address) ? address : null;

    /// <inheritdoc/>
    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext) => Address(value as string) is null
        ? new ValidationResult(
            $"The address '{value}' is reached from other machines or is none, and the server has no keys to tell who may use it; "
            + "listen on 127.0.0.1, and put a proxy that checks keys before it.", [validationContext.MemberName!])
        : ValidationResult.Success;
}
