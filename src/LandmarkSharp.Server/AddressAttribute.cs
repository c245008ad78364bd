using System.ComponentModel.DataAnnotations;
using System.Net;

namespace LandmarkSharp.Server;

/// <summary>An address that can be listened on.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class AddressAttribute : ValidationAttribute
{
    /// <summary>The address that a text names.</summary>
    public static IPAddress? Address(string? text) =>
        text == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(text, out var address) ? address : null;

    /// <inheritdoc/>
    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext) => Address(value as string) is null
        ? new ValidationResult(
            $"The address '{value}' is none to listen on; give 127.0.0.1 for this machine alone, 0.0.0.0 for all, or one of its own.",
            [validationContext.MemberName!])
        : ValidationResult.Success;
}

/// <summary>Names of hosts, without ports.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class HostNamesAttribute : ValidationAttribute
{
    /// <inheritdoc/>
    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext) =>
        ((string[])value!).FirstOrDefault(h => Uri.CheckHostName(h) != UriHostNameType.Dns) is { } wrong
            ? new ValidationResult($"'{wrong}' is no host's name; give one as it is asked, such as llm.example.org, without a port.",
                [validationContext.MemberName!])
            : ValidationResult.Success;
}
